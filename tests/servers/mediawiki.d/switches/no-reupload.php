<?php
# fileexists-forbidden on another user's file
$fuseForbid( 'reupload' );
$wgGroupPermissions['user']['reupload-own'] = true;
