<?php
# blocked, every account
$wgHooks['GetUserBlock'][] = static function ( $user, $ip, &$block ) {
	$block = new MediaWiki\Block\DatabaseBlock( [ 'address' => $user, 'by' => $user, 'reason' => 'switch', 'expiry' => 'infinity' ] );
};
