<?php
# warning large-file
$wgUploadSizeWarning = 1000;
