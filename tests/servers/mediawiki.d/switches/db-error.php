<?php
# internal_api_error_DBQueryError for every upload request
if ( $fuseStep !== '' ) {
	$wgHooks['ApiCheckCanExecute'][] = static function () {
		MediaWiki\MediaWikiServices::getInstance()->getDBLoadBalancer()->getConnection( DB_PRIMARY )
			->query( 'select no_such_column from no_such_table', 'switch' );
	};
}
