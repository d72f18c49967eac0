# shellcheck shell=bash
#
# Sourced by `mediawiki`: php-fpm and nginx of an instance.

# Below the kernel's default range of ephemeral ports (32768 and up): otherwise
# some outgoing connection could take the port while the server is stopped.
readonly PORT_FIRST=20000 PORT_COUNT=12000
readonly PORT_TRIES=20

write_fpm_conf() {
  # opcache.revalidate_freq is 0 so that a switch acts on the next request. A
  # file that changes twice within the second of its time stamp is no danger:
  # opcache does not keep files younger than 2 s (file_update_protection).
  # 10 workers: 8 parallel clients and room for a tool that looks on.
  # max_execution_time is a plain value, as in php.ini, because MediaWiki raises
  # it for uploads and must be able to.
  cat >"$ROOT/fpm.conf" <<CONF
[global]
pid = $ROOT/run/fpm.pid
error_log = $ROOT/log/fpm.log
daemonize = yes
[www]
user = $(id -un)
listen = $(socket_path fpm)
pm = static
pm.max_children = 10
clear_env = no
env[MW_CONFIG_FILE] = $ROOT/LocalSettings.php
env[MW_INSTALL_PATH] = $CODE
catch_workers_output = yes
php_admin_value[upload_max_filesize] = $FILE_MAX
php_admin_value[post_max_size] = $BODY_MAX
php_admin_value[memory_limit] = $MEMORY
php_value[max_execution_time] = $CPU_S
php_admin_value[upload_tmp_dir] = $ROOT/spool
php_admin_value[sys_temp_dir] = $ROOT/spool
php_admin_value[opcache.validate_timestamps] = 1
php_admin_value[opcache.revalidate_freq] = 0
CONF
}

write_nginx_conf() {
  local user_line=
  # Otherwise root's workers become www-data, who cannot read a private DIR.
  [ "$(id -u)" != 0 ] || user_line="user root;"
  cat >"$ROOT/nginx.conf" <<CONF
$user_line
pid $ROOT/run/nginx.pid;
error_log $ROOT/log/nginx-error.log;
worker_processes 2;
events { worker_connections 256; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  log_format request '\$msec \$request_method \$request_length \$status \$request_time \$request_uri \$upstream_http_x_wiki_step \$upstream_http_mediawiki_api_error';
  access_log $ROOT/log/access.log request;
  client_body_temp_path $ROOT/nginx/body; proxy_temp_path $ROOT/nginx/proxy;
  fastcgi_temp_path $ROOT/nginx/fcgi; uwsgi_temp_path $ROOT/nginx/uwsgi; scgi_temp_path $ROOT/nginx/scgi;
  sendfile on;
  keepalive_timeout 65;
  client_max_body_size $NGINX_MAX;
  server {
    listen 127.0.0.1:$1;
    location /images/ {
      alias $ROOT/images/;
      # Whoever guards files by img_auth.php must close the straight road to them.
      if (-f $ROOT/conf.d/img-auth.php) { return 403; }
      location ~ ^/images/(deleted|temp|lockdir)/ { deny all; }
    }
    location = /run-jobs {
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $ROOT/run-jobs.php;
      fastcgi_read_timeout 600s;
      fastcgi_pass unix:$(socket_path fpm);
    }
    location /w/ {
      alias $CODE/;
      location ~ ^/w/([a-z_]+\.php)(/.*)?\$ {
        include /etc/nginx/fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $CODE/\$1;
        fastcgi_param SCRIPT_NAME /w/\$1;
        fastcgi_param PATH_INFO \$2;
        fastcgi_read_timeout ${READ_S}s;
        fastcgi_send_timeout ${READ_S}s;
        fastcgi_pass unix:$(socket_path fpm);
      }
    }
  }
}
CONF
}

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_fpm() {
  write_fpm_conf
  cp "$HERE/run-jobs.php" "$ROOT/run-jobs.php"
  # -R allows root. 9 is the lock of this script, which a daemon must not keep.
  php-fpm8.2 -R -y "$ROOT/fpm.conf" >>"$ROOT/log/start.log" 2>&1 </dev/null 9>&- ||
    { tail -n 20 "$ROOT/log/start.log" >&2; die "php-fpm does not start"; }
}

# nginx leaves its parent only after it has got the port, so its status decides
# who wins when several instances choose at once.
nginx_takes_port() {
  port_is_taken "$1" && return 1
  write_nginx_conf "$1"
  nginx -e "$ROOT/log/nginx-error.log" -c "$ROOT/nginx.conf" >>"$ROOT/log/start.log" 2>&1 </dev/null 9>&-
}

start_nginx() {
  local port tries=0
  if [ -s "$ROOT/port" ]; then
    port=$(cat "$ROOT/port")
    nginx_takes_port "$port" ||
      die "nginx does not start on port $port, which clients of $ROOT may know (see $ROOT/log/nginx-error.log)"
    return 0
  fi
  while [ $tries -lt "$PORT_TRIES" ]; do
    tries=$((tries + 1))
    port=$((PORT_FIRST + (RANDOM * 32768 + RANDOM) % PORT_COUNT))
    echo "$port" >"$ROOT/port"    # before nginx answers: MediaWiki reads it
    nginx_takes_port "$port" && return 0
  done
  rm -f "$ROOT/port"
  tail -n 5 "$ROOT/log/nginx-error.log" >&2 || true
  die "nginx found no port in $PORT_TRIES tries"
}

wait_until_ready() {
  local deadline=$((SECONDS + READY_WAIT_S))
  # Not the status: a switch may make a healthy server answer 503.
  until [ -n "$(current_switches)" ]; do
    [ $SECONDS -lt $deadline ] || die "no answer after $READY_WAIT_S s (see $ROOT/log)"
    sleep 0.1
  done
}

write_env() {
  local port
  port=$(cat "$ROOT/port")
  # Renamed into place, so that no reader sees half of it.
  cat >"$ROOT/env.new" <<ENV
MW_URL=http://127.0.0.1:$port/w/api.php
MW_ROOT=$ROOT
MW_PORT=$port
MW_LIMITS=$LIMITS
MW_VERIFY=$VERIFY
MW_DATABASE=$DATABASE
MW_RELEASE=$RELEASE
MW_BOT_USER=Admin@fuse
MW_BOT_PASS=$BOT_PASS
MW_USER=Uploader
MW_USER_PASS=$USER_PASS
MW_USER_BOT=Uploader@fuse
MW_USER_BOT_PASS=$BOT_PASS
MW_ADMIN=Admin
MW_ADMIN_PASS=$ADMIN_PASS
MW_ACCESS_LOG=$ROOT/log/access.log
ENV
  mv "$ROOT/env.new" "$ROOT/env"
}
