<?php
# titleblacklist-forbidden-edit for names that begin with Bad
wfLoadExtension( 'TitleBlacklist' );
$wgTitleBlacklistSources = [ [ 'type' => 'file', 'src' => __DIR__ . '/titleblacklist.txt' ] ];
$wgGroupPermissions['sysop']['tboverride'] = false;
