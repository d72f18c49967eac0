<?php
# HTTP 502 to one last-chunk request although the work is done: the switch goes
# off by itself
if ( $fuseStep === 'last-chunk' && @unlink( __FILE__ ) ) {
	$fuseLoseAnswer();
}
