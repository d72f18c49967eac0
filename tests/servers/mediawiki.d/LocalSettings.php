<?php
# Settings of the test wikis, copied into each instance. What differs between
# instances lies beside this file: port, database.php, conf.d.

$wgSitename = 'TestWiki';
$wgServer = 'http://127.0.0.1:' . trim( (string)@file_get_contents( __DIR__ . '/port' ) );
$wgScriptPath = '/w';
$wgResourceBasePath = '/w';
$wgLanguageCode = 'en';
$wgLocaltimezone = 'UTC';
$wgEnableEmail = false;
$wgSecretKey = str_repeat( '0123456789abcdef', 4 );   # guards nothing of value
$wgUpgradeKey = '0123456789abcdef';

require __DIR__ . '/database.php';

$wgMainCacheType = CACHE_ACCEL;
$wgSessionCacheType = CACHE_DB;   # where `expire-sessions` can reach it
$wgCacheDirectory = __DIR__ . '/cache';
$wgTmpDirectory = __DIR__ . '/spool';
$wgJobRunRate = 0;                # jobs run only by `run-jobs`
$wgShowExceptionDetails = true;

$wgEnableUploads = true;
$wgUploadDirectory = __DIR__ . '/images';
$wgUploadPath = '/images';
$wgFileExtensions = [ 'png', 'gif', 'jpg', 'jpeg', 'webp', 'svg', 'pdf', 'ogg', 'oga', 'ogv', 'webm', 'mp3', 'wav',
	'flac', 'mp4', 'txt', 'bin', 'dat', 'zip', 'gz', 'xz', 'iso', 'tar', 'csv', 'tiff', 'djvu' ];
$wgUseImageMagick = false;
$wgGenerateThumbnailOnParse = false;

# For the switches and the access log: which step of an upload this request is.
$fuseStep = ( static function () {
	if ( ( $_REQUEST['action'] ?? '' ) !== 'upload' ) {
		return '';
	}
	if ( isset( $_POST['checkstatus'] ) ) {
		return 'status';
	}
	if ( isset( $_FILES['chunk'] ) ) {
		$end = (int)( $_POST['offset'] ?? 0 ) + (int)$_FILES['chunk']['size'];
		return $end === (int)( $_POST['filesize'] ?? 0 ) ? 'last-chunk' : 'chunk';
	}
	return isset( $_FILES['file'] ) || isset( $_POST['filekey'] ) ? 'publish' : 'other';
} )();

# For the switches: nobody may do this any more.
$fuseForbid = static function ( string $right ) {
	global $wgGroupPermissions;
	foreach ( $wgGroupPermissions as &$rights ) {
		$rights[$right] = false;
	}
};

# For the switches: this process ends without a word, as when the system kills it.
$fuseDie = static function () {
	posix_kill( getmypid(), 9 );   # SIGKILL, a name that FPM does not know
};

# For the switches: everything is done, but nobody hears of it. The outermost
# buffer is flushed after the database transaction.
$fuseLoseAnswer = static function () use ( $fuseDie ) {
	ob_start( static function () use ( $fuseDie ) {
		$fuseDie();
		return '';
	} );
};

# For the switches: another class stores the files, in the same places.
$fuseBackend = static function ( string $class ) {
	global $wgFileBackends, $wgUploadDirectory;
	$wgFileBackends[] = [ 'name' => 'local-backend', 'class' => $class, 'lockManager' => 'fsLockManager', 'fileMode' => 0644,
		'containerPaths' => [ 'local-public' => $wgUploadDirectory, 'local-thumb' => "$wgUploadDirectory/thumb",
			'local-transcoded' => "$wgUploadDirectory/transcoded", 'local-deleted' => "$wgUploadDirectory/deleted",
			'local-temp' => "$wgUploadDirectory/temp" ] ];
};

# Limits (00-*.php) and switches. The header names the switches that this very
# request obeyed, by which `switch` knows that a change is in effect.
$fuseSwitches = [];
foreach ( glob( __DIR__ . '/conf.d/*.php' ) ?: [] as $fuseFile ) {
	$fuseName = basename( $fuseFile, '.php' );
	# A switch that works only once may vanish here at any moment.
	if ( ( @include $fuseFile ) !== false && substr( $fuseName, 0, 3 ) !== '00-' ) {
		$fuseSwitches[] = $fuseName;
	}
}
if ( PHP_SAPI !== 'cli' ) {
	header( 'X-Wiki-Switches: ,' . implode( ',', $fuseSwitches ) . ',' );
	header( 'X-Wiki-Step: ' . ( $fuseStep ?: '-' ) );
}
