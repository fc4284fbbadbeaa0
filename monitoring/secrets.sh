#!/bin/sh
# Makes ./secrets for docker-compose.yml: new passwords, where there are none yet. The folder is yours alone; the files
# in it can be read by the containers' own user, to whom Compose hands them as they are.
set -eu
umask 022
mkdir -p secrets
chmod 700 secrets
cd secrets

new() { # name, text
    [ -e "$1" ] || printf '%s' "$2" > "$1"
}

random() {
    od -An -N 24 -t x1 /dev/urandom | tr -d ' \n'
}

new postgres_password "$(random)"
new replank_database_url "postgresql://postgres:$(cat postgres_password)@postgres:5432/app"
new replank_broker_url "redis://redis:6379/0"
new grafana_password "$(random)"
new replank_flower_logins "operator:$(random)"
echo "secrets/replank_flower_logins has the name and the password for the run page, secrets/grafana_password Grafana's."
