#!/bin/sh
# Two databases with two roles each way; the passwords are set as README.md says.
set -eu
for database in nodesys master; do
  createdb --username postgres "$database"
  psql --username postgres --dbname "$database" --set ON_ERROR_STOP=1 --file /roles.sql
done
