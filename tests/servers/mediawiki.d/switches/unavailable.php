<?php
# HTTP 503 with Retry-After for every request
if ( PHP_SAPI !== 'cli' ) {
	header( 'X-Wiki-Switches: ,unavailable,' );
	header( 'Retry-After: 1', true, 503 );
	echo '<html>maintenance</html>';
	exit;
}
