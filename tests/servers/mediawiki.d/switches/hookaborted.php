<?php
# hookaborted for every upload request
if ( $fuseStep !== '' ) {
	$wgHooks['ApiCheckCanExecute'][] = static function () {
		return false;
	};
}
