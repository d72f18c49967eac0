# shellcheck shell=bash
#
# Sourced by `mediawiki`: the switches. Each is a file of PHP in switches/, whose
# first comment says what it provokes; on, it is copied into the settings of the
# instance. A few need something done to the wiki as well.

switch_names() {
  local file
  for file in "$HERE"/switches/*.php; do basename "$file" .php; done
}

print_switches() {
  local name
  for name in $(switch_names); do
    # The comment begins in the second line and ends with the first line of code.
    printf '%-24s %s\n' "$name" "$(sed -n '1d; /^# /!q; s/^# //p' "$HERE/switches/$name.php" | tr '\n' ' ')"
  done
}

# Prints the switches that a request obeys now, as ",NAME,NAME,".
current_switches() {
  curl -s --noproxy '*' -m 10 -o /dev/null -D - "http://127.0.0.1:$(cat "$ROOT/port")/w/api.php?action=query&meta=siteinfo&format=json" |
    sed -n 's/^x-wiki-switches: *\([^\r]*\).*/\1/Ip'
}

switch_is() {
  local now
  now=$(current_switches)
  case "$2$now" in
    on*,"$1",*) ;;
    on*,unavailable,*) ;;       # it answers before the others are read
    on*) return 1 ;;
    off*,"$1",*) return 1 ;;
    off,*) ;;
    *) return 1 ;;              # no answer is no proof
  esac
}

wait_until_switched() {
  local deadline=$((SECONDS + READY_WAIT_S))
  # A stopped instance reads the files when it starts.
  is_running || return 0
  until switch_is "$1" "$2"; do
    [ $SECONDS -lt $deadline ] || die "switch $1 $2 has no effect after $READY_WAIT_S s"
    sleep 0.05
  done
}

switch_on() {
  local file="$ROOT/conf.d/$1.php"
  case $1 in
    titleblacklist) echo 'File:Bad.*' >"$ROOT/conf.d/titleblacklist.txt" ;;
    # What was done before must not count.
    ratelimited) forget_cached '%limiter%' ;;
    login-throttle-low) forget_cached '%throttler%' ;;
    protected) is_running || die "the switch protected needs a running server" ;;
  esac
  cp "$HERE/switches/$1.php" "$file.new"
  mv "$file.new" "$file"
  wait_until_switched "$1" on
  [ "$1" != protected ] || protect
}

switch_off() {
  if [ "$1" = protected ] && [ -e "$ROOT/conf.d/protected.php" ]; then
    is_running || die "the switch protected needs a running server"
    unprotect
  fi
  rm -f "$ROOT/conf.d/$1.php"
  wait_until_switched "$1" off
}

switch_all_off() {
  local name
  for name in $(switch_names); do
    [ ! -e "$ROOT/conf.d/$name.php" ] || switch_off "$name"
  done
}

switch_instance() {
  case "$#/${1:-}/${2:-}" in
    0/*) print_switches; return 0 ;;
    2/all/off) switch_all_off; return 0 ;;
    2/all/*|2//*) usage ;;
    2/*/on|2/*/off) ;;
    *) usage ;;
  esac
  [ -e "$HERE/switches/$1.php" ] || die "no switch $1; there are: $(switch_names | tr '\n' ' ')"
  "switch_$2" "$1"
}
