// One slide, one task: `nextflow run main.nf --slides 'slides/*.svs' --mpp 0.5`, with any executor (local, slurm, awsbatch, ...).
// `-resume` skips what is finished; a slide that fails is reported and the others go on.

params.slides = 'slides/*.{svs,tif,tiff,ndpi,png}'
params.mpp = ''
params.out = 'results'

process analyze {
    tag "${slide.name}"
    publishDir params.out, mode: 'copy'
    errorStrategy 'ignore'
    cpus 2
    memory '4 GB'

    input:
    path slide

    output:
    path "out/*", type: 'dir'

    script:
    def mpp = params.mpp ? "--mpp ${params.mpp}" : ''
    // no quotes around the slide: Nextflow escapes blanks and the like in its name itself
    """
    OMP_NUM_THREADS=${task.cpus} biopsy-analyzer analyze ${slide} ${mpp} --quiet -o out
    """
}

workflow {
    analyze(Channel.fromPath(params.slides, checkIfExists: true))
}
