<?php
# protectedpage for Protected.txt, which nobody may create, and for Locked.txt,
# which is there and which nobody may replace
$wgRestrictionLevels[] = 'nobody';
$wgAvailableRights[] = 'nobody';
# Who protects must have the right; nobody else ever has it.
$wgGroupPermissions['sysop']['nobody'] = ( $_REQUEST['action'] ?? '' ) === 'protect';
