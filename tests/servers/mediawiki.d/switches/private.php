<?php
# readapidenied without a login
$wgGroupPermissions['*']['read'] = false;
