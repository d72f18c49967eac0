<?php
# Every move leaves a redirect
$fuseForbid( 'suppressredirect' );
