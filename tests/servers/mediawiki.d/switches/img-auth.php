<?php
# Files need a signed-in reader: 403 without cookies, both at /images/ and at
# img_auth.php, which sends them; readapidenied without a login
$wgGroupPermissions['*']['read'] = false;
$wgUploadPath = "$wgScriptPath/img_auth.php";
