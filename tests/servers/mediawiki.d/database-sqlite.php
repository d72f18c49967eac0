<?php
# SQLite, as the installer would set it: a file for the wiki and one each for
# what is written often.

$wgDBtype = 'sqlite';
$wgDBname = 'wiki';
$wgSQLiteDataDir = __DIR__ . '/db';
$fuseSqlite = static function ( $name ) {
	return [ 'type' => 'sqlite', 'dbname' => $name, 'tablePrefix' => '', 'variables' => [ 'synchronous' => 'NORMAL' ],
		'dbDirectory' => __DIR__ . '/db', 'trxMode' => 'IMMEDIATE', 'flags' => 0 ];
};
$wgObjectCaches[CACHE_DB] = [ 'class' => SqlBagOStuff::class, 'loggroup' => 'SQLBagOStuff',
	'server' => $fuseSqlite( 'wikicache' ) ];
if ( version_compare( MW_VERSION, '1.40', '<' ) ) {
	# The default has a replica, which a file cannot have.
	$wgObjectCaches['db-replicated'] = [ 'factory' => 'Wikimedia\ObjectFactory\ObjectFactory::getObjectFromSpec',
		'args' => [ [ 'factory' => 'ObjectCache::getInstance', 'args' => [ CACHE_DB ] ] ] ];
}
$wgLocalisationCacheConf['storeServer'] = $fuseSqlite( 'wiki_l10n_cache' );
$wgJobTypeConf['default'] = [ 'class' => 'JobQueueDB', 'claimTTL' => 3600, 'server' => $fuseSqlite( 'wiki_jobqueue' ) ];
