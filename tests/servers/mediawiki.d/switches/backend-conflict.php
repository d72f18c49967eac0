<?php
# lockmanager-fail-conflict for every publication: somebody has the file
if ( $fuseStep === 'publish' ) {
	$wgHooks['UploadVerifyUpload'][] = static function ( $upload ) {
		static $lock;
		$config = MediaWiki\MediaWikiServices::getInstance()->getLockManagerGroupFactory()->getLockManagerGroup()->config( 'fsLockManager' );
		$lock = new $config['class']( $config );
		$lock->lock( [ $upload->getLocalFile()->getPath() ] );
	};
}
