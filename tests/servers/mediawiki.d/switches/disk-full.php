<?php
# Nothing can be stored, what is there can be read:
# internal_api_error_UploadChunkFileException for chunks
class FuseFullBackend extends FSFileBackend {
	protected function doStoreInternal( array $params ) {
		return Status::newFatal( 'backend-fail-store', $params['src'], $params['dst'] );
	}
	protected function doCreateInternal( array $params ) {
		return Status::newFatal( 'backend-fail-create', $params['dst'] );
	}
}
$fuseBackend( FuseFullBackend::class );
