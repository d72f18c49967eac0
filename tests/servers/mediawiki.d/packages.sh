# shellcheck shell=bash
#
# Sourced by `mediawiki`: the Debian packages that the servers are made of.

# MariaDB only as the -core packages: they are the programs alone. The package
# mariadb-server would also start a service, which nobody here asked for, and
# brings three times as much.
readonly PACKAGES="nginx-light mediawiki php8.2-cli php8.2-fpm php8.2-sqlite3 php8.2-apcu curl sqlite3
mariadb-server-core mariadb-client-core php8.2-mysql"

missing_packages() {
  local package
  for package in $PACKAGES; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

install_packages() {
  local missing log
  missing=$(missing_packages | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    echo "mediawiki: packages are missing; as root, run:" >&2
    echo "  apt-get install --no-install-recommends $missing" >&2
    exit 1
  fi
  # Not a pipe: the log is only interesting when something goes wrong.
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  # --no-remove: a machine with another database server keeps it.
  # shellcheck disable=SC2086
  if ! { apt-get -qq -o DPkg::Lock::Timeout=300 update &&
         apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends --no-remove $missing; } >"$log" 2>&1 </dev/null
  then
    cat "$log" >&2; rm -f "$log"
    die "could not install: $missing"
  fi
  rm -f "$log"
}
