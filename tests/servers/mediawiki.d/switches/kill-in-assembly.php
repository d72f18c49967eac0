<?php
# HTTP 502 for every last chunk: nothing is assembled, progress says Continue.
# On 1.39 the chunks are gone, on 1.43 they are kept.
if ( $fuseStep === 'last-chunk' ) {
	$wgHooks['UploadVerifyFile'][] = $fuseDie;
}
