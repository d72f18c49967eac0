# shellcheck shell=bash
#
# Sourced by `mediawiki`: the processes of an instance, `nginx`, `fpm` and, for
# MariaDB, `db`. Each was started with $ROOT/NAME.conf and writes
# $ROOT/run/NAME.pid; its socket, where it has one, is NAME.sock.

readonly STOP_WAIT_S=10
readonly SOCKET_PATH_MAX=100 # the kernel allows 107

# The command line tells our process from a stranger that got the same number
# later, and is empty for a zombie that nobody reaps.
command_of() { { tr "\0" " " <"/proc/$1/cmdline"; } 2>/dev/null || true; }

# Prints the number of the running master process $1.
master_pid() {
  local pid
  pid=$(cat "$ROOT/run/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] || return 1
  case "$(command_of "$pid")" in *"$ROOT/$1.conf"*) echo "$pid" ;; *) return 1 ;; esac
}

is_running() {
  master_pid nginx >/dev/null && master_pid fpm >/dev/null &&
    { [ "$DATABASE" = sqlite ] || master_pid db >/dev/null; }
}

wait_until_gone() {
  local pid tries=$((STOP_WAIT_S * 20))
  for pid in "$@"; do
    while [ -n "$(command_of "$pid")" ]; do
      [ $tries -gt 0 ] || return 1
      tries=$((tries - 1)); sleep 0.05
    done
  done
}

stop_master() {
  local pid family
  pid=$(master_pid "$1") || { rm -f "$ROOT/run/$1.pid"; return 0; }
  # The workers are listed first: they must be gone too, not only their parent.
  family="$pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null || true)"
  kill "$pid" 2>/dev/null || true
  # shellcheck disable=SC2086
  if ! wait_until_gone $family; then
    kill -KILL $family 2>/dev/null || true
    wait_until_gone $family || die "$1 ($family) survives SIGKILL"
  fi
  rm -f "$ROOT/run/$1.pid"
}

stop_instance() {
  stop_master nginx    # first, so that no new request reaches PHP
  stop_master fpm
  stop_master db
  rm -f "$(socket_path fpm)" "$(socket_path db)"
  if [ -s "$ROOT/socket-dir" ]; then
    rmdir "$(cat "$ROOT/socket-dir")" 2>/dev/null || true
    rm -f "$ROOT/socket-dir"
  fi
}

socket_path() {
  if [ -s "$ROOT/socket-dir" ]; then
    echo "$(cat "$ROOT/socket-dir")/$1.sock"
  else
    echo "$ROOT/run/$1.sock"
  fi
}

# A deep DIR would make a socket path that the kernel refuses. LocalSettings.php
# looks for the sockets in the same places.
choose_sockets() {
  rm -f "$ROOT/socket-dir"
  if [ "$(printf %s "$ROOT/run/fpm.sock" | wc -c)" -gt "$SOCKET_PATH_MAX" ]; then
    mktemp -d /tmp/mw.XXXXXX >"$ROOT/socket-dir"
  fi
}
