<?php
# MariaDB on the socket of this instance.

$wgDBtype = 'mysql';
$wgDBserver = 'localhost:' . ( trim( (string)@file_get_contents( __DIR__ . '/socket-dir' ) ) ?: __DIR__ . '/run' ) . '/db.sock';
$wgDBname = 'wiki';
$wgDBuser = 'wiki';
$wgDBpassword = 'wiki';
