<?php
# file-too-large, and invalid-chunk at the limit
$wgMaxUploadSize = 3 * 1024 * 1024;
