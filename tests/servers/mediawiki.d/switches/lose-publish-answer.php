<?php
# HTTP 502 to one publish request although the work is done: the switch goes
# off by itself
if ( $fuseStep === 'publish' && @unlink( __FILE__ ) ) {
	$fuseLoseAnswer();
}
