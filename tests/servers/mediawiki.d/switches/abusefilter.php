<?php
# abusefilter-disallowed, from a hook that answers as the extension does
$wgHooks['UploadVerifyUpload'][] = static function ( $upload, $user, $props, $comment, $text, &$error ) {
	$error = [ 'abusefilter-disallowed', '1', 'rule' ];
	return true;
};
