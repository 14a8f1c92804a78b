-- Written by `copperline snowflake teardown --dry-run`.
-- Removes everything, with all boards, models and files in it.
-- Run by hand, nothing checks whose an object is that is there already: run `copperline snowflake status` first.

-- from here on as ACCOUNTADMIN
USE ROLE "ACCOUNTADMIN";

-- ends what runs on compute pool PCB_CV_COMPUTEPOOL
ALTER COMPUTE POOL IF EXISTS "PCB_CV_COMPUTEPOOL" STOP ALL;

-- removes compute pool PCB_CV_COMPUTEPOOL
DROP COMPUTE POOL IF EXISTS "PCB_CV_COMPUTEPOOL";

-- removes api integration PCB_CV_GIT_API
DROP INTEGRATION IF EXISTS "PCB_CV_GIT_API";

-- removes external access integration PCB_CV_EXTERNAL_ACCESS
DROP INTEGRATION IF EXISTS "PCB_CV_EXTERNAL_ACCESS";

-- removes warehouse PCB_CV_WH
DROP WAREHOUSE IF EXISTS "PCB_CV_WH";

-- removes database PCB_CV
DROP DATABASE IF EXISTS "PCB_CV";

-- removes resource monitor PCB_CV_MONITOR
DROP RESOURCE MONITOR IF EXISTS "PCB_CV_MONITOR";

-- removes role PCB_CV_READER
DROP ROLE IF EXISTS "PCB_CV_READER";

-- removes role PCB_CV_ROLE
DROP ROLE IF EXISTS "PCB_CV_ROLE";
