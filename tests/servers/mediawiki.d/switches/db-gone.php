<?php
# HTTP 500 and a page for people, for every upload request: no database answers.
# The code, DBConnectionError, is in the header only.
if ( $fuseStep !== '' ) {
	$wgSQLiteDataDir = '/dev/null';
	$wgDBserver = 'localhost:/dev/null';
}
