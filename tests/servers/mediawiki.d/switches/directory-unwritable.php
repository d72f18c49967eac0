<?php
# directorycreateerror for every publication
class FuseUnwritableBackend extends FSFileBackend {
	protected function doPrepareInternal( $container, $dir, array $params ) {
		return str_ends_with( $container, '-public' )
			? Status::newFatal( 'directorycreateerror', $params['dir'] )
			: parent::doPrepareInternal( $container, $dir, $params );
	}
}
$fuseBackend( FuseUnwritableBackend::class );
