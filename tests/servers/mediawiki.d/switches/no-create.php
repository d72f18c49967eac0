<?php
# cantcreate for a new name; a file that is there can be replaced
$fuseForbid( 'createpage' );
