-- Written by `copperline snowflake setup --dry-run`.
-- Makes what is missing, leaves what is there, and starts nothing that costs credits.
-- Run by hand, nothing checks whose an object is that is there already: run `copperline snowflake status` first.

-- from here on as ACCOUNTADMIN
USE ROLE "ACCOUNTADMIN";

-- the role that trains, inspects, and owns what it makes
CREATE ROLE IF NOT EXISTS "PCB_CV_ROLE" COMMENT = 'Made by Copperline: works with the objects, with resource monitor PCB_CV_MONITOR';

-- administrators see and can mend what the role makes
GRANT ROLE "PCB_CV_ROLE" TO ROLE SYSADMIN;

-- your name in quotes, for the next statement takes no function
SET COPPERLINE_USER = (SELECT '"' || REPLACE(CURRENT_USER(), '"', '""') || '"');

-- you can use the role; grant it to others in the same way
GRANT ROLE "PCB_CV_ROLE" TO USER IDENTIFIER($COPPERLINE_USER);

-- the dashboard's packages come from Snowflake's copy of PyPI, and nothing from outside
GRANT DATABASE ROLE SNOWFLAKE.PYPI_REPOSITORY_USER TO ROLE "PCB_CV_ROLE";

-- the role of those who look: quality engineers, plant managers
CREATE ROLE IF NOT EXISTS "PCB_CV_READER" COMMENT = 'Made by Copperline: looks at the dashboard and reads tables';

-- whoever works with the objects may look, too
GRANT ROLE "PCB_CV_READER" TO ROLE "PCB_CV_ROLE";

-- the warehouse stops at its monthly credits; compute pools are not covered by any resource monitor
CREATE RESOURCE MONITOR IF NOT EXISTS "PCB_CV_MONITOR" WITH
  CREDIT_QUOTA = 50
  FREQUENCY = MONTHLY
  START_TIMESTAMP = IMMEDIATELY
  TRIGGERS ON 80 PERCENT DO NOTIFY ON 100 PERCENT DO SUSPEND;

-- holds everything below
CREATE DATABASE IF NOT EXISTS "PCB_CV" COMMENT = 'Made by Copperline: boards, defects, models and apps';

-- the role enters the database
GRANT USAGE ON DATABASE "PCB_CV" TO ROLE "PCB_CV_ROLE";

-- readers enter it
GRANT USAGE ON DATABASE "PCB_CV" TO ROLE "PCB_CV_READER";

-- holds tables, stage, models and apps; PUBLIC comes with the database
CREATE SCHEMA IF NOT EXISTS "PCB_CV"."PUBLIC" COMMENT = 'Made by Copperline: boards, defects, models and apps';

-- what the role may make; SERVICE is what training runs as
GRANT USAGE, CREATE TABLE, CREATE VIEW, CREATE STAGE, CREATE FILE FORMAT, CREATE IMAGE REPOSITORY, CREATE GIT REPOSITORY, CREATE NOTEBOOK, CREATE STREAMLIT, CREATE MODEL, CREATE SERVICE ON SCHEMA "PCB_CV"."PUBLIC" TO ROLE "PCB_CV_ROLE";

-- readers enter the schema
GRANT USAGE ON SCHEMA "PCB_CV"."PUBLIC" TO ROLE "PCB_CV_READER";

-- costs are found by it in SNOWFLAKE.ACCOUNT_USAGE
CREATE TAG IF NOT EXISTS "PCB_CV"."PUBLIC"."PCB_CV_COST" COMMENT = 'Made by Copperline: what costs belong to';

-- runs queries; it starts with the first of them and stops when it is idle
CREATE WAREHOUSE IF NOT EXISTS "PCB_CV_WH"
  WAREHOUSE_SIZE = XSMALL
  AUTO_SUSPEND = 60
  AUTO_RESUME = TRUE
  INITIALLY_SUSPENDED = TRUE
  RESOURCE_MONITOR = "PCB_CV_MONITOR"
  COMMENT = 'Made by Copperline: queries and the dashboard';

-- its credits are found under this tag
ALTER WAREHOUSE "PCB_CV_WH" SET TAG "PCB_CV"."PUBLIC"."PCB_CV_COST" = 'copperline';

-- the role runs queries
GRANT USAGE ON WAREHOUSE "PCB_CV_WH" TO ROLE "PCB_CV_ROLE";

-- readers run queries
GRANT USAGE ON WAREHOUSE "PCB_CV_WH" TO ROLE "PCB_CV_READER";

-- these hosts and no others; the role that trains does not own the rule, so it cannot widen it
CREATE NETWORK RULE IF NOT EXISTS "PCB_CV"."PUBLIC"."PCB_CV_EGRESS"
  TYPE = HOST_PORT
  MODE = EGRESS
  VALUE_LIST = ('pypi.org:443', 'files.pythonhosted.org:443', 'github.com:443', 'codeload.github.com:443')
  COMMENT = 'Made by Copperline: hosts that notebook and training may reach';

-- a rule that was there before follows the settings
ALTER NETWORK RULE "PCB_CV"."PUBLIC"."PCB_CV_EGRESS" SET VALUE_LIST = ('pypi.org:443', 'files.pythonhosted.org:443', 'github.com:443', 'codeload.github.com:443');

-- lets code that names it reach the hosts of the rule
CREATE EXTERNAL ACCESS INTEGRATION IF NOT EXISTS "PCB_CV_EXTERNAL_ACCESS"
  ALLOWED_NETWORK_RULES = ("PCB_CV"."PUBLIC"."PCB_CV_EGRESS")
  ENABLED = TRUE
  COMMENT = 'Made by Copperline: packages and public boards for notebook and training';

-- notebook and training name it
GRANT USAGE ON INTEGRATION "PCB_CV_EXTERNAL_ACCESS" TO ROLE "PCB_CV_ROLE";

-- fetches from this repository and from no other
CREATE API INTEGRATION IF NOT EXISTS "PCB_CV_GIT_API"
  API_PROVIDER = GIT_HTTPS_API
  API_ALLOWED_PREFIXES = ('https://git.example/boards/copperline')
  ENABLED = TRUE
  COMMENT = 'Made by Copperline: fetches one git repository';

-- the role's clone fetches through it
GRANT USAGE ON INTEGRATION "PCB_CV_GIT_API" TO ROLE "PCB_CV_ROLE";

-- GPU nodes; none runs until the notebook or a training asks for it
CREATE COMPUTE POOL IF NOT EXISTS "PCB_CV_COMPUTEPOOL"
  MIN_NODES = 1
  MAX_NODES = 3
  INSTANCE_FAMILY = GPU_NV_M
  AUTO_RESUME = TRUE
  INITIALLY_SUSPENDED = TRUE
  AUTO_SUSPEND_SECS = 600
  COMMENT = 'Made by Copperline: notebook and training';

-- its credits are found under this tag
ALTER COMPUTE POOL "PCB_CV_COMPUTEPOOL" SET TAG "PCB_CV"."PUBLIC"."PCB_CV_COST" = 'copperline';

-- notebook and training run on it
GRANT USAGE, MONITOR ON COMPUTE POOL "PCB_CV_COMPUTEPOOL" TO ROLE "PCB_CV_ROLE";

-- from here on as PCB_CV_ROLE
USE ROLE "PCB_CV_ROLE";

-- files; encrypted by the server, so that apps can show images from it
CREATE STAGE IF NOT EXISTS "PCB_CV"."PUBLIC"."MODEL_STAGE"
  ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')
  DIRECTORY = (ENABLE = TRUE)
  COMMENT = 'Made by Copperline: images, weights and runs';

-- the table BOARDS
CREATE TABLE IF NOT EXISTS "PCB_CV"."PUBLIC".boards (board_id VARCHAR(64));

-- readers read it
GRANT SELECT ON TABLE "PCB_CV"."PUBLIC"."BOARDS" TO ROLE "PCB_CV_READER";

-- the table SECRETS
CREATE TABLE IF NOT EXISTS "PCB_CV"."PUBLIC".secrets (hash VARCHAR(64));

-- for container images of your own
CREATE IMAGE REPOSITORY IF NOT EXISTS "PCB_CV"."PUBLIC"."PCB_CV_IMAGES";

-- a clone that worksheets and notebooks can read
CREATE GIT REPOSITORY IF NOT EXISTS "PCB_CV"."PUBLIC"."PCB_CV_REPO"
  API_INTEGRATION = "PCB_CV_GIT_API"
  ORIGIN = 'https://git.example/boards/copperline'
  COMMENT = 'Made by Copperline: clone of a git repository';
