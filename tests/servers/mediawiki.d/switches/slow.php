<?php
# every upload request takes 2 s longer
if ( $fuseStep !== '' ) {
	sleep( 2 );
}
