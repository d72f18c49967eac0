<?php
require getenv( 'MW_INSTALL_PATH' ) . '/includes/WebStart.php';
foreach ( [ 'AssembleUploadChunks', 'PublishStashedFile' ] as $type ) {
	echo json_encode( MediaWiki\MediaWikiServices::getInstance()->getJobRunner()->run( [ 'type' => $type ] ) ), "\n";
}
