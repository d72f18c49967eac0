# shellcheck shell=bash
#
# Sourced by `mediawiki`: state that the server has in mind, and the disk space
# that it leaves behind.

ORPHAN_AGE_S=10              # longer than from storing a file to writing its row
SPOOL_AGE_MIN=2              # longer than a request waits for the database

# The table is made by the first request that needs it.
forget_cached() {
  if [ "$DATABASE" = sqlite ] &&
    [ -z "$(sql wikicache "select 1 from sqlite_master where name = 'objectcache'")" ]; then return 0; fi
  sql wikicache "delete from objectcache where keyname like '$1'"
}

expire_sessions() { forget_cached '%MWSession%'; }

forget_progress() { forget_cached '%uploadstatus%'; }

age_stash() {
  # Older than MediaWiki's limit of 6 h, by years.
  sql wiki "update uploadstash set us_timestamp = '20200101000000'"
  maintain "$ROOT" cleanupUploadStash.php >>"$ROOT/log/maintenance.log" 2>&1 ||
    die "the purge failed (see $ROOT/log/maintenance.log)"
}

# By the server itself, not by MediaWiki's command line: that has another cache,
# and the server would go on believing that a file it once looked for is missing.
run_jobs() {
  curl -s -f --noproxy '*' -m 600 "http://127.0.0.1:$(cat "$ROOT/port")/run-jobs" >>"$ROOT/log/maintenance.log" ||
    die "the jobs failed (see $ROOT/log)"
}

# Files below images/temp that no row of the stash needs any more: MediaWiki
# leaves them behind when an upload is published or fails. A file is stored a
# moment before its row, so the youngest are left for the next time.
print_orphans() {
  local rows=$ROOT/run/stash-rows file name
  sql wiki "select us_path from uploadstash union all select us_key from uploadstash" >"$rows"
  find "$ROOT/images/temp" -type f ! -newerct "$ORPHAN_AGE_S seconds ago" ! -name index.html ! -name .htaccess |
    while IFS= read -r file; do
      name=${file##*/}
      # The chunks of session KEY are KEY.0, KEY.1, …
      grep -qxF -e "mwrepo://local/temp/${file#"$ROOT/images/temp/"}" -e "${name%.*}" "$rows" || printf '%s\n' "$file"
    done
  rm -f "$rows"
}

clean() {
  local file
  case "$*" in
    '') ;;
    --all)
      is_running || die "clean --all needs a running server"
      delete_published
      sql wiki 'delete from uploadstash'
      ORPHAN_AGE_S=0 SPOOL_AGE_MIN=0 ;;
    *) usage ;;
  esac
  [ ! -d "$ROOT/images/temp" ] || print_orphans | while IFS= read -r file; do rm -f "$file"; done
  # What the API deletes goes here, for an undeletion that no test does.
  rm -rf "$ROOT/images/deleted"
  find "$ROOT/spool" -type f ! -newermt "$SPOOL_AGE_MIN minutes ago" -delete
}
