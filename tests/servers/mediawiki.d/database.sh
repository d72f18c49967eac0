# shellcheck shell=bash
#
# Sourced by `mediawiki`: the database of an instance, SQLite's files or a
# MariaDB of its own on a Unix socket.

readonly DATABASE_WAIT_MS=60000   # SQLite's writers wait while a big file is put together

# Prints what MediaWiki's installer must be told.
database_options() {
  case $DATABASE in
    sqlite)  echo "--dbtype sqlite --dbpath $1/db --dbname wiki" ;;
    mariadb) echo "--dbtype mysql --dbserver localhost:$(socket_path db) --dbname wiki --dbuser wiki --dbpass wiki" ;;
  esac
}

# Runs SQL in database $1 while the server may be writing there as well. SQLite
# has one file per purpose, MariaDB one database for all.
sql() {
  case $DATABASE in
    sqlite)  sqlite3 -batch -cmd ".timeout $DATABASE_WAIT_MS" "$ROOT/db/$1.sqlite" "$2" ;;
    mariadb) mariadb_root -N -B -r wiki -e "$2" ;;
  esac
}

mariadb_root() { mariadb --no-defaults -u root -S "$(socket_path db)" "$@"; }

start_database() {
  [ "$DATABASE" = mariadb ] || return 0
  local deadline=$((SECONDS + READY_WAIT_S))
  # Whoever reaches the socket is the database's root.
  chmod 700 "$ROOT/run"
  write_db_conf
  if [ ! -e "$ROOT/db/made" ]; then
    rm -rf "$ROOT/db/data"
    mariadb-install-db --defaults-file="$ROOT/db.conf" --auth-root-authentication-method=normal --skip-test-db \
      >"$ROOT/log/db-install.log" 2>&1 </dev/null || { cat "$ROOT/log/db-install.log" >&2; die "no database"; }
    : >"$ROOT/db/made"
  fi
  # A session of its own: it outlives the terminal of whoever starts it. 9 is
  # the lock of this script, which a daemon must not keep.
  setsid mariadbd --defaults-file="$ROOT/db.conf" >>"$ROOT/log/db.log" 2>&1 </dev/null 9>&- &
  until mariadb_root -e 'select 1' >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || { tail -n 20 "$ROOT/log/db.log" >&2; die "MariaDB does not start"; }
    sleep 0.05
  done
}

write_db_conf() {
  mkdir -p "$ROOT/db/data" "$ROOT/db/tmp"
  # Nobody pulls the plug on a test, so it need not wait for the disk.
  # Without native AIO it starts in containers, too, that forbid io_uring.
  cat >"$ROOT/db.conf" <<CONF
[mariadbd]
datadir = $ROOT/db/data
tmpdir = $ROOT/db/tmp
socket = $(socket_path db)
pid-file = $ROOT/run/db.pid
user = $(id -un)
skip-networking
innodb_flush_log_at_trx_commit = 0
innodb_use_native_aio = 0
CONF
}

# Makes the empty database that the installer fills.
create_database() {
  [ "$DATABASE" = mariadb ] || return 0
  mariadb_root -e "drop database if exists wiki; create database wiki;
    create user if not exists wiki@localhost identified by 'wiki'; grant all on wiki.* to wiki@localhost;"
}
