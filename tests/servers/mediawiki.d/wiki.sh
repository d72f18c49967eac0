# shellcheck shell=bash
#
# Sourced by `mediawiki`: the wiki itself, its directories, database, accounts
# and settings.

# Single quotes around $ are PHP code here, and web.sh reads the limits.
# shellcheck disable=SC2016,SC2034,SC2153

make_directories() {
  mkdir -p "$ROOT"/db "$ROOT"/images "$ROOT"/cache "$ROOT"/run "$ROOT"/log \
    "$ROOT"/spool "$ROOT"/nginx "$ROOT"/conf.d
}

# The same files for every instance: what differs is beside them, so that a copy
# of the directory is a working wiki.
write_local_settings() {
  cp "$HERE/LocalSettings.php" "$1/LocalSettings.php"
  cp "$HERE/database-$DATABASE.php" "$1/database.php"
}

# Runs one of MediaWiki's maintenance scripts for the wiki in directory $1.
maintain() {
  local root=$1 script=$2
  shift 2
  MW_CONFIG_FILE=$root/LocalSettings.php php "$CODE/maintenance/$script" "$@"
}

# Makes the tables and the accounts of the wiki in directory $1. Called where
# bash does not stop by itself at what fails.
create_wiki() {
  local root=$1 account
  local grants=basic,highvolume,editpage,editprotected,createeditmovepage,uploadfile,uploadeditmovefile,delete,viewmywatchlist
  rm -rf "$root/cache" "$root/LocalSettings.php"
  [ "$DATABASE" != sqlite ] || rm -rf "$root/db"
  mkdir -p "$root/db" "$root/cache" "$root/log" "$root/spool"
  create_database || return
  # The installer insists on writing its own LocalSettings.php, which is replaced.
  # shellcheck disable=SC2046  # one word per option is wanted; the path has no blanks
  env -u MW_CONFIG_FILE php "$CODE/maintenance/install.php" \
    --confpath "$root" $(database_options "$root") \
    --server http://127.0.0.1 --scriptpath /w --skins "" \
    --pass "$ADMIN_PASS" TestWiki Admin || return
  write_local_settings "$root"
  maintain "$root" createAndPromote.php --force Uploader "$USER_PASS" || return
  for account in Admin Uploader; do
    maintain "$root" createBotPassword.php --appid fuse --grants "$grants" "$account" "$BOT_PASS" || return
  done
}

# Fills a new instance, from the template if there is one. The variants are
# started once per run, so that there is no template for them.
set_up() {
  local template=${UPLOADFS_WIKI_TEMPLATE:-} log=$ROOT/log/install.log
  if [ -n "$template" ] && [ "$DATABASE $RELEASE" = "sqlite 1.39" ]; then
    mkdir -p "$template"
    # Instances that start at once wait here for the first one.
    ( flock 8
      [ -e "$template/complete" ] || { create_wiki "$template" && : >"$template/complete"; }
    ) 8>"$template/lock" >"$log" 2>&1 || { cat "$log" >&2; die "the set-up of $template failed"; }
    cp -a "$template/db" "$template/cache" "$ROOT/"
  else
    create_wiki "$ROOT" >"$log" 2>&1 || { cat "$log" >&2; die "the set-up of $ROOT failed"; }
  fi
  : >"$ROOT/complete"
}

read_settings() {
  LIMITS=wide VERIFY=yes DATABASE=sqlite RELEASE=1.39
  if [ -s "$ROOT/settings" ]; then
    # shellcheck source=/dev/null
    . "$ROOT/settings"
  fi
}

# Sets the limits, and writes what PHP reads of the settings.
write_settings() {
  case $LIMITS in
    wide)        FILE_MAX=5G BODY_MAX=5200M MEMORY=256M CPU_S=0  NGINX_MAX=6g READ_S=1800 WIKI_MAX='5 * 1024 * 1024 * 1024' ;;
    php-default) FILE_MAX=2M BODY_MAX=8M    MEMORY=128M CPU_S=30 NGINX_MAX=6g READ_S=60   WIKI_MAX='100 * 1024 * 1024' ;;
    default)     FILE_MAX=2M BODY_MAX=8M    MEMORY=128M CPU_S=30 NGINX_MAX=1m READ_S=60   WIKI_MAX='100 * 1024 * 1024' ;;
    *) die "unknown limits: $LIMITS" ;;
  esac
  printf '<?php\n$wgMaxUploadSize = %s;\n' "$WIKI_MAX" >"$ROOT/conf.d/00-limits.php"
  case $VERIFY in
    no) printf '<?php\n$wgVerifyMimeType = false;\n$wgDisableUploadScriptChecks = true;\n' >"$ROOT/conf.d/00-verify.php" ;;
    yes) rm -f "$ROOT/conf.d/00-verify.php" ;;
    *) die "--verify takes yes or no, not $VERIFY" ;;
  esac
  printf 'LIMITS=%s\nVERIFY=%s\nDATABASE=%s\nRELEASE=%s\n' "$LIMITS" "$VERIFY" "$DATABASE" "$RELEASE" >"$ROOT/settings"
}
