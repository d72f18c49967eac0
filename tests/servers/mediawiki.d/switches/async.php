<?php
# Poll until `run-jobs`
$wgEnableAsyncUploads = true;
