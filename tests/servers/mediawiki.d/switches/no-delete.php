<?php
# permissiondenied for every deletion
$fuseForbid( 'delete' );
