<?php
# cantmovefile for every move
$fuseForbid( 'movefile' );
