"""Files of the app's folder in Snowflake that are the same for everybody."""
