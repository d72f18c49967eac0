<?php
# warning filetype-unwanted-type
$wgStrictFileExtensions = false;
