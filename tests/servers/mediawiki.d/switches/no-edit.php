<?php
# permissiondenied for every upload and every move
$fuseForbid( 'edit' );
