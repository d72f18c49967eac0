<?php
# As backend-conflict, for one publication: the switch goes off by itself
if ( $fuseStep === 'publish' && @unlink( __FILE__ ) ) {
	$wgHooks['UploadVerifyUpload'][] = static function ( $upload ) {
		static $lock;
		$config = MediaWiki\MediaWikiServices::getInstance()->getLockManagerGroupFactory()->getLockManagerGroup()->config( 'fsLockManager' );
		$lock = new $config['class']( $config );
		$lock->lock( [ $upload->getLocalFile()->getPath() ] );
	};
}
