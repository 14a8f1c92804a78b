"""A Snowflake account: connections to it, its errors in plain words, and the objects that Copperline makes there."""
