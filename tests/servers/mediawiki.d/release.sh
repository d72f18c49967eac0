# shellcheck shell=bash
#
# Sourced by `mediawiki`: which MediaWiki an instance runs. 1.39 is the package
# of Debian 12, installed. 1.43 is the package of Debian 13, which is only
# unpacked, into a cache: the PHP of Debian 12 runs it.

readonly INSTALLED=/usr/share/mediawiki
readonly LATER_SUITE=trixie LATER_PACKAGES="mediawiki mediawiki-classes"
# Debian signs what it publishes; whatever cannot be checked is not run.
readonly DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
readonly MIRROR_WAIT_S=20
readonly NOT_TO_BE_HAD=3     # exit status

later_cache() {
  local cache=${UPLOADFS_WIKI_CACHE:-$HERE/../../../target/mediawiki-1.43}
  mkdir -p "$cache"
  cache=$(cd "$cache" && pwd)
  check_path "$cache"
  echo "$cache"
}

# Sets CODE, for all the others, by RELEASE.
# shellcheck disable=SC2034
find_code() {
  local cache
  case $RELEASE in
    1.39) CODE=$INSTALLED ;;
    1.43)
      cache=$(later_cache)
      CODE=$cache/tree/usr/share/mediawiki ;;
    *) die "there are the releases 1.39 and 1.43, not $RELEASE" ;;
  esac
}

fetch_release() {
  local cache
  case $RELEASE in
    1.39) return 0 ;;       # the business of `install`
    1.43) cache=$(later_cache) ;;
  esac
  # Whoever comes second finds the work done. Nothing may follow the bracket by
  # `||` or the like: inside, bash would no longer stop at what fails.
  ( flock 7
    [ -e "$cache/complete" ] || fetch_later "$cache"
  ) 7>"$cache/lock"
}

not_to_be_had() { echo "mediawiki: MediaWiki 1.43 cannot be had: $*" >&2; exit $NOT_TO_BE_HAD; }

fetch_later() {
  local cache=$1 apt mirror deb got=''
  [ -s "$DEBIAN_KEYS" ] || not_to_be_had "no $DEBIAN_KEYS to check it with"
  rm -rf "$cache"/apt.* "$cache"/tree*
  : >"$cache/log"
  apt=$(mktemp -d "$cache/apt.XXXXXX")     # private, as a mirror's address may hold a password
  write_apt_conf "$apt"
  for mirror in $(mirrors); do
    printf 'deb [signed-by=%s] %s %s main\n' "$DEBIAN_KEYS" "$mirror" "$LATER_SUITE" >"$apt/sources.list"
    ! download "$apt" >"$cache/log" 2>&1 </dev/null || { got=yes; break; }
  done
  [ -n "$got" ] || { rm -rf "$apt"; not_to_be_had "no mirror of this machine gives it. $(grep -m 1 '^[EW]: ' "$cache/log")"; }
  for deb in "$apt"/*.deb; do dpkg-deb -x "$deb" "$cache/tree.new"; done
  rm -rf "$apt"
  # Links to what an installation would have beside it.
  ln -sfn extensions-core "$cache/tree.new/usr/share/mediawiki/extensions"
  rm "$cache/tree.new/usr/share/mediawiki/LocalSettings.php"
  mv "$cache/tree.new" "$cache/tree"
  : >"$cache/complete"
}

# The addresses that this machine itself has its release from. Some may belong
# to others than Debian; those have no Debian 13.
mirrors() {
  local codename
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  apt-get update --print-uris 2>/dev/null | sed -n "s,^'\(.*/\)dists/$codename/InRelease'.*,\1,p" | sort -u
}

# apt with lists, state and sources of its own: the machine's are neither read
# nor changed. Its proxies and passwords count as ever.
write_apt_conf() {
  mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
  : >"$1/status"
  cat >"$1/apt.conf" <<CONF
Dir::Etc::sourcelist "$1/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$1";
Dir::State::status "$1/status";
Dir::State::lists "$1/lists";
Dir::Cache "$1/cache";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::http::Timeout "$MIRROR_WAIT_S";
Acquire::https::Timeout "$MIRROR_WAIT_S";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
}

download() {
  # shellcheck disable=SC2086  # one word per package is wanted
  apt-get -q -c "$1/apt.conf" update && ( cd "$1" && apt-get -q -c "$1/apt.conf" download $LATER_PACKAGES )
}
