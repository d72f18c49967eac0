<?php
# permissiondenied for every upload
$fuseForbid( 'upload' );
