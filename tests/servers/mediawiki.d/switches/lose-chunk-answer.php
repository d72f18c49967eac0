<?php
# HTTP 502 to one chunk request although the work is done: the switch goes
# off by itself
if ( $fuseStep === 'chunk' && @unlink( __FILE__ ) ) {
	$fuseLoseAnswer();
}
