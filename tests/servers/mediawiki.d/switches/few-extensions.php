<?php
# Only png: filetype-banned, and illegal-filename for chunks
$wgFileExtensions = [ 'png' ];
