# shellcheck shell=bash
#
# Sourced by `mediawiki`: a small client of the wiki's own API. What is done to
# a wiki goes through it, because PHP's processes remember pages and files; what
# is done to the database behind their backs would leave them wrong.

# One call: curl's own arguments; prints the answer.
call() { curl -s -f --noproxy '*' -m 60 -b "$COOKIES" -c "$COOKIES" "http://127.0.0.1:$(cat "$ROOT/port")/w/api.php?format=json" "$@"; }

token_in() { sed -n 's/.*"'"$1"'":"\([0-9a-f]*+\)\\\\".*/\1\\/p'; }

# Signs in as $1 with password $2; sets COOKIES and TOKEN.
sign_in() {
  COOKIES=$(mktemp)
  TOKEN=$(call -d action=query -d meta=tokens -d type=login | token_in logintoken)
  call -d action=login --data-urlencode "lgname=$1" -d "lgpassword=$2" --data-urlencode "lgtoken=$TOKEN" >/dev/null
  TOKEN=$(call -d action=query -d meta=tokens | token_in csrftoken)
}

sign_out() { rm -f "$COOKIES"; }

# Posts action $1, with `--form-string NAME=VALUE` and other arguments of curl.
# Of the errors only those named by $2 are none.
act() {
  local action=$1 expected=$2 answer code
  shift 2
  answer=$(call --form-string "action=$action" --form-string "token=$TOKEN" "$@") || die "no answer to $action"
  code=$(printf %s "$answer" | sed -n 's/.*"error":{"code":"\([^"]*\)".*/\1/p')
  case " $expected " in
    *" ${code:-none} "*) ;;
    *) [ -z "$code" ] || die "$action is refused: $code; is a switch on?" ;;
  esac
}

# Through the API, every file.
delete_published() {
  local name
  [ -n "$(sql wiki 'select 1 from image limit 1')" ] || return 0
  sign_in Admin@fuse "$BOT_PASS"
  sql wiki 'select img_name from image' | while IFS= read -r name; do
    act delete '' --form-string "title=File:$name"
  done
  sign_out
}

protect() {
  unprotect
  sign_in Admin "$ADMIN_PASS"
  act upload '' --form-string filename=Locked.txt --form-string ignorewarnings=1 -F "file=locked;filename=x"
  act protect '' --form-string title=File:Protected.txt --form-string protections=create=nobody
  act protect '' --form-string title=File:Locked.txt --form-string protections=upload=nobody
  sign_out
}

# Also of what is only half protected.
unprotect() {
  sign_in Admin "$ADMIN_PASS"
  act protect '' --form-string title=File:Protected.txt --form-string protections=create=all
  act delete missingtitle --form-string title=File:Locked.txt
  sign_out
}
