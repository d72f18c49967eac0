<?php
# readapidenied for whoever is signed in
$fuseForbid( 'read' );
