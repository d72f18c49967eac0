<?php
# As kill-in-assembly, for one last chunk: the switch goes off by itself
if ( $fuseStep === 'last-chunk' && @unlink( __FILE__ ) ) {
	$wgHooks['UploadVerifyFile'][] = $fuseDie;
}
