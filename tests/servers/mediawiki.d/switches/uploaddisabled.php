<?php
# uploaddisabled
$wgEnableUploads = false;
